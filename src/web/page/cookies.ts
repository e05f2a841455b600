// Surely keeps our cookies: not a frame of another site, where a browser may drop them without a word. There a token is
// asked for, exchanged for a cookie, and kept in memory when that does not come back; it is gone with the page.
export const keepsCookies = window.top === window && navigator.cookieEnabled;
