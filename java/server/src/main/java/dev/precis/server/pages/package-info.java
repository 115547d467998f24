/** Pages for people: fixed files of the jar, which ask nothing of any other server. */
package dev.precis.server.pages;
