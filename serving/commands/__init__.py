"""The commands of `tiercel`, one file a noun; each imports what is heavy when it runs."""
