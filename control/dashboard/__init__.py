"""Pages for people. Reads go through selectors, writes through services; a page is made from the database alone."""
