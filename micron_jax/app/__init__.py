"""A page in the browser that shows the motion in a video or in two pictures of a face."""
