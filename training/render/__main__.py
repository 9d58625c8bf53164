"""``python -m training.render sheet|demo``."""
import sys
from pathlib import Path
import cv2
from training.render.material import RenderMaterial
from training.render.sheet import contact_sheet
m = RenderMaterial.load(Path(sys.argv[1]), unclear=len(sys.argv) < 4)
cv2.imwrite(sys.argv[2], contact_sheet(m))
