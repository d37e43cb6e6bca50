//! What can go wrong with a request.

use std::fmt;

use axum::extract::rejection::FormRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use region_cache::http::CacheError;
use tokio::task::JoinError;

/// Why a request fails, or a load.
#[derive(Debug)]
pub enum AppError {
    /// What it is about does not exist, or no longer.
    Missing,
    /// The user has to send something else.
    Invalid(String),
    /// The cache fails, or a load does.
    Cache(region_cache::Error),
    /// The edit is in the database, but pages may show what was before until their ttl is over.
    NotShown(region_cache::Error),
    /// The database fails.
    Database(rusqlite::Error),
    /// A task has panicked.
    Task(JoinError),
}

impl AppError {
    /// Returns true if the database is as it was. Otherwise it may have changed, though the write has failed.
    #[must_use]
    pub fn says_that_nothing_changed(&self) -> bool {
        matches!(self, Self::Missing | Self::Invalid(_))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotShown(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Cache(_) | Self::Database(_) | Self::Task(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the user reads: nothing of servers, and nothing of the database.
    fn message(&self) -> &str {
        match self {
            Self::Missing => "There is no such thing here.",
            Self::Invalid(why) => why,
            Self::NotShown(_) => "It is saved, but pages may show what was before for some time.",
            Self::Cache(_) | Self::Database(_) | Self::Task(_) => "Something went wrong.",
        }
    }
}

impl From<region_cache::Error> for AppError {
    fn from(error: region_cache::Error) -> Self {
        // All who wait for a load share its error, so what it holds can only be looked at.
        match error.load_error::<Self>() {
            Some(Self::Missing) => Self::Missing,
            _ => Self::Cache(error),
        }
    }
}

impl From<rusqlite::Error> for AppError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::Missing,
            error => Self::Database(error),
        }
    }
}

impl From<JoinError> for AppError {
    fn from(error: JoinError) -> Self {
        Self::Task(error)
    }
}

impl From<FormRejection> for AppError {
    fn from(rejection: FormRejection) -> Self {
        Self::Invalid(rejection.body_text())
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            // It knows the status of each kind of error, and when to try again.
            Self::Cache(error) => CacheError::from(error).into_response(),
            error => {
                let status = error.status();
                if status.is_server_error() {
                    tracing::error!(error = &error as &dyn std::error::Error, "a request fails");
                }
                let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
                (status, text, error.message().to_owned()).into_response()
            }
        }
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for AppError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Missing | Self::Invalid(_) => None,
            Self::Cache(error) | Self::NotShown(error) => Some(error),
            Self::Database(error) => Some(error),
            Self::Task(error) => Some(error),
        }
    }
}
