//! Supervision trees on ractor: specs, strategies, families, seats, gates. Knows no mail.
