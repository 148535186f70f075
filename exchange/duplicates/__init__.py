"""One invoice, one face: claims on it over all platforms, none of which sees what another knows of it."""
