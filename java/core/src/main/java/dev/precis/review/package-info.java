/**
 * People in the loop: a journal that shows every change to it, and a gate that generated text
 * passes when people have approved it. Start with {@link dev.precis.review.Gate}.
 */
package dev.precis.review;
