"""What came of searches as a page for the morning: one HTML file, or Markdown."""
