"""What finds and reads: the images of a plate's folder, which site and stain each shows, and the plate map."""
