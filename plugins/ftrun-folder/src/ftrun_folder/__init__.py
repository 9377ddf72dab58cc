"""Dataset `image-folder`: images in a folder for each class."""
