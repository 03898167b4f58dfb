//! Messages: headers, structure, delivery status notifications, trace fields.
