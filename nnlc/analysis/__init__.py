"""What the curves are for: looking at them."""
