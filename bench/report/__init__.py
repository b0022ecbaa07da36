"""A run afterwards: JSON (`document`), Markdown (`markdown`), plots (`figures`), comparisons (`compare`)."""
