"""Reports as one page of HTML: `mapper.pages.page` makes the text, the other modules its parts as plain values."""
