"""Tables held against a training that is done again: ours to the byte, published ones by seeds."""
