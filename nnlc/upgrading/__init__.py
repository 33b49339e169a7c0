"""From one version of nnlc to the next: what of a results folder stays, goes on, or is lost."""
