"""The practice game: a track, a car and a window that publish the same memory pages as Assetto Corsa."""
