"""The data's schema: `schema.pbtxt` for TFDV, and the names it uses as Python constants in `pets`."""
