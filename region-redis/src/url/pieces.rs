//! The division of a URL's text into its pieces.

use percent_encoding::percent_decode_str;

use super::check_user;

/// The pieces of a URL behind its scheme, still encoded.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'u> {
    pub(super) userinfo: Option<&'u str>,
    pub(super) hosts: &'u str,
    /// With the `/` that it begins with, or empty.
    pub(super) path: &'u str,
    pub(super) query: Option<&'u str>,
}

impl<'u> Pieces<'u> {
    pub(super) fn split(rest: &'u str) -> Result<Self, String> {
        match rest.split_once('#') {
            Some((_, "insecure")) => {
                let why = "a server's certificate is always checked; name its authority by `ca`";
                return Err(why.to_owned());
            }
            Some(_) => {
                let why = "it has a fragment (#..); a `#` in a password is written %23";
                return Err(why.to_owned());
            }
            None => {}
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        Ok(Self { userinfo, hosts, path, query })
    }

    /// The user and the password. There is no user without a password.
    pub(super) fn credentials(&self) -> Result<(Option<String>, Option<String>), String> {
        let Some(userinfo) = self.userinfo else { return Ok((None, None)) };
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let user = given(decoded("the user", user)?);
        let password = given(decoded("the password", password)?);
        check_user("user", user.as_deref(), password.as_deref()).map_err(|why| {
            why + ", which is written user:password@, or :password@ without a user"
        })?;
        Ok((user, password))
    }

    /// What may be the reason that a piece is wrong: part of a password is taken for another piece.
    pub(super) fn hint(&self) -> &'static str {
        let has_at = |piece: &str| piece.contains('@');
        if self.userinfo.is_none() && (has_at(self.path) || self.query.is_some_and(has_at)) {
            return " (a / in a password is written %2F, a ? %3F)";
        }
        ""
    }
}

/// The text that is encoded as `text`. A message names the `part`.
pub(super) fn decoded(part: &str, text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| format!("{part} is not UTF-8 when it is decoded"))
}
