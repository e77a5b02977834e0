"""Reading a page back, for the tests."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The tags of a page, and the text outside of styles and scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._within = [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._within.append(tag)

    def handle_endtag(self, tag):
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"style", "script"} & set(self._within):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]
