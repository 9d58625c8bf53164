"""The HTTP service and the live page (extra ``serve``).

    request → Guard (token or Host and Origin, security headers, 500s)
            → POST /v1/read: Reception (turn → upload → size by header → decode → Watch.read)
            → /v1/events, /stream: Store and Announcer      → /v1/cameras: statuses and views
            → /, /page, /docs: files of this package
"""
