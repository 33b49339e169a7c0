"""Tables held to every rule that their bytes can be held to; `nnlc audit`. No torch in here."""
