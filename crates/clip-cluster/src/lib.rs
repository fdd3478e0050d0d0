//! The same stages on Ballista: scheduler, worker and client.
