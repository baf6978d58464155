"""Teaching a network its embedding: objectives, data, loop and checkpoints."""
