"""See what happened: tables that people read; nothing here scores."""
