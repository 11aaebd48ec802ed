"""The parts of the site that mkdocs does not have: `mkdocs.yml` names them."""
