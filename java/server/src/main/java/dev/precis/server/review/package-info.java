/** The page on which people compare summaries and pass texts through the gate, and its requests. */
package dev.precis.server.review;
