"""The coordinator over HTTP: who may ask for what, and what each is answered."""
