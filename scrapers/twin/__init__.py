"""Local doubles of the outside data services, over one generated market."""
