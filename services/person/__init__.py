"""A seeded, plausible wearer whose month fills a service through its own API."""

from services.person.life import Life, live
from services.person.records import records_of
from services.person.run import PersonReport, mock_person

__all__ = ["Life", "PersonReport", "live", "mock_person", "records_of"]
