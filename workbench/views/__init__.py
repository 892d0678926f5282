"""Pure folds of committed entries to what a view shows, with layouts and static pictures; no clock, thread or Jupyter."""
