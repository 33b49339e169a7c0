"""From measured seconds to a machine that predicts them: fitted, judged, and kept in a file."""
