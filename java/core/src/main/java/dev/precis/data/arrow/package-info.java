/**
 * A reader of Arrow's IPC format, as {@code datasets.save_to_disk} writes it. It is our own because
 * Arrow's library for Java asks every program for {@code --add-opens} and brings Netty; reading
 * texts, numbers and lists takes four files.
 */
package dev.precis.data.arrow;
