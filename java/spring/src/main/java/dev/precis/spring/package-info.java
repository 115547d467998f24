/**
 * A Spring Boot starter for Spring AI: {@code precis.model} makes a T5 the application's chat
 * model, {@code precis.classifier} makes a classifier its moderation model.
 */
package dev.precis.spring;
