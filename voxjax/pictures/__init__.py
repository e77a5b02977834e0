"""Pictures and videos of one object, drawn through a function of the camera."""
