"""What uses private APIs of torch for speed."""
