package dev.precis.ffi;

/** Thrown if libprecis refuses a call or fails in it; the message is the library's own sentence. */
public final class NativeException extends RuntimeException {
  private final Status status;

  NativeException(Status status, String message) {
    super(message);
    this.status = status;
  }

  /** Returns the kind of failure. */
  public Status status() {
    return status;
  }

  /** {@code precis_status} of precis.h, in its order. */
  public enum Status {
    OK,
    INVALID_ARGUMENT,
    INVALID_STATE,
    OUT_OF_MEMORY,
    UNSUPPORTED,
    DEVICE_ERROR,
    INTERNAL_ERROR;

    static Status of(int code) {
      Status[] all = values();
      return code >= 0 && code < all.length ? all[code] : INTERNAL_ERROR;
    }
  }
}
