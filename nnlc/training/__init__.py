"""Training: images, torch modules, the half-epoch loop, checkpoints. Only this room uses torch."""
