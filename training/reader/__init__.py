"""The reader: MaskOCR on vertical patches of a rectified plate."""
