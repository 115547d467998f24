package dev.precis.device;

/** Thrown if libprecis refuses a call or fails in it; the message is the library's own sentence. */
public final class NativeException extends RuntimeException {
  private final Status status;

  /** Makes an exception of the library's status and its message. */
  public NativeException(Status status, String message) {
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
    INTERNAL_ERROR,
    CANCELLED;

    /** Returns the status of a {@code precis_status}; an unknown code is an internal error. */
    public static Status of(int code) {
      Status[] all = values();
      return code >= 0 && code < all.length ? all[code] : INTERNAL_ERROR;
    }
  }
}
