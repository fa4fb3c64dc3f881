"""Where batches are kept: a SQLite file on one machine, Firestore for several. One file per system."""
