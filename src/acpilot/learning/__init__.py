"""Training data → policy."""

import os

# PyTorch's threads keep a processor busy while they wait for each other, unless this is said before they exist: beside
# another program on two processors that is the difference between 90 and 450 pictures a second.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
