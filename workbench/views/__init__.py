"""Pure folds of committed entries to what a view shows, with still pictures; no clock, thread or Jupyter."""
