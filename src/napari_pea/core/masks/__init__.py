"""Single-instance masks (LSIM): which pixel of an object's surroundings is part of it."""
