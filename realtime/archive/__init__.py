"""Archives: many recordings into one folder with events, reports, tables and an index page."""
