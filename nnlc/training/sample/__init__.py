"""A small balanced part of Fashion-MNIST that comes with nnlc, and the script that made it."""
