/*
 * precis.h - the C interface of libprecis, the engine behind Précis.
 *
 * Every operation is  precis_status precis_<op>(precis_context*, const precis_<op>_args*).
 * A context holds a device, its threads or stream, scratch (workspace) memory and the text of the
 * last error.
 *
 * - No function throws, exits or aborts. A bad argument gives PRECIS_INVALID_ARGUMENT and one
 *   sentence that names the argument; precis_last_error returns it.
 * - Tensors are borrowed for the length of the call. Matrices are row-major; the elements of one
 *   row (the last dimension) are contiguous and rows lie row_stride elements apart. Data must be
 *   aligned to its element size.
 * - Outputs must not overlap inputs or each other unless the operation says so.
 * - On the CPU an operation has finished when it returns. On CUDA it is asynchronous, ordered on
 *   the context's stream: its results, and errors in values that only the device sees (ids and
 *   labels in device memory, NaN among logits), are known after the next precis_synchronize. Until
 *   then the host must not change the inputs.
 * - On CUDA every pointer must come from precis_allocate or precis_allocate_shared of the same
 *   context; any other pointer is an invalid argument. Ids and what a decoding step goes by (starts,
 *   lengths, ancestors, histories, rules, offsets of random numbers) are checked on the host before
 *   anything runs where they are shared, and by the kernels where they are in device memory. Other
 *   plain arrays (offsets of sequences, lengths of responses) are checked on the host and must be
 *   shared. The sources of precis_matmul_pack may lie anywhere, for instance in a mapped file.
 * - Results are deterministic: the same inputs, seed, device and thread count give bitwise
 *   identical outputs. A row of a result depends on its own row of the input alone, so batched and
 *   unbatched results are bitwise identical.
 * - Calls on one context are not serialized: a context serves one thread at a time, and a second
 *   thread that enters meanwhile gets PRECIS_INVALID_STATE. On the CPU with more than one thread,
 *   the calling thread works as the first of the pool and is pinned to a core until it calls
 *   precis_synchronize, another thread calls, or the context is destroyed. Different contexts are
 *   independent.
 */
#ifndef PRECIS_H_
#define PRECIS_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_API __attribute__((visibility("default")))

typedef enum precis_status {
  PRECIS_OK = 0,
  PRECIS_INVALID_ARGUMENT = 1,
  PRECIS_INVALID_STATE = 2,
  PRECIS_OUT_OF_MEMORY = 3,
  PRECIS_UNSUPPORTED = 4,
  PRECIS_DEVICE_ERROR = 5,
  PRECIS_INTERNAL_ERROR = 6,
  PRECIS_CANCELLED = 7
} precis_status;

typedef enum precis_dtype {
  PRECIS_FLOAT32 = 0,
  PRECIS_BFLOAT16 = 1,
  PRECIS_INT8 = 2,
  PRECIS_UINT8 = 3,
  PRECIS_INT32 = 4,
  PRECIS_INT64 = 5,
  PRECIS_FLOAT16 = 6,
  PRECIS_INT4 = 7 /* of packed weights only */
} precis_dtype;

typedef enum precis_device { PRECIS_CPU = 0, PRECIS_CUDA = 1 } precis_device;

typedef struct precis_context precis_context;

/* The largest number of dims of a tensor. */
#define PRECIS_MAX_RANK 4
/* The largest number of weights that precis_matmul_pack stacks into one matrix. */
#define PRECIS_MAX_STACKED_WEIGHTS 4
/* The largest number of segments of one precis_lora_matmul. */
#define PRECIS_MAX_LORA_SEGMENTS 4

/* A view: data may be NULL only where an operation calls the tensor optional. */
typedef struct precis_tensor {
  void* data;
  int64_t dims[PRECIS_MAX_RANK]; /* outermost first; rank of them are used */
  int64_t row_stride;            /* elements between the starts of two rows; 0: contiguous */
  int32_t rank;
  int32_t dtype;
} precis_tensor;

/* ------------------------------------------------------------------ contexts */

/* Contexts on several GPUs may be used in one process, and by one thread in turns: every call leaves
 * the thread's current CUDA device as it was. */
typedef struct precis_context_args {
  int32_t device;       /* precis_device */
  int32_t device_index; /* which GPU; 0 on the CPU */
  int32_t threads;      /* 0: one for each physical core this process may use */
  const char* isa;      /* x86-64: "avx2", "avx512", "avx512_bf16"; aarch64: "neon", "neon_dotprod",
                           "neon_bf16"; "portable"; NULL: the best available */
  const char* matmul; /* "native" or "onednn"; NULL: whichever measured faster on this processor */
  int32_t many_rows;  /* CUDA: products have many rows, as in training, and cuBLASLt computes them
                         where it can be loaded */
  int32_t reserved;
  char* error; /* optional: receives the reason if no context can be made */
  int64_t error_bytes;
} precis_context_args;

typedef struct precis_context_info {
  int32_t abi_version;
  int32_t device;
  int32_t threads;
  int32_t onednn;          /* 1 if oneDNN computes matrix products of many rows */
  int64_t scratch_bytes;   /* current size of the scratch memory */
  int64_t allocations;     /* allocations from the system since the context was made */
  char isa[32];            /* the instruction set in use; for a GPU "sm_80" or "sm_90a" */
  char features[256];      /* the processor's features, separated by spaces; for a GPU, whether
                              wgmma (Hopper's tensor cores) is in use */
  char onednn_version[64]; /* empty if oneDNN could not be loaded */
  char onednn_path[512];
  char onednn_error[512]; /* why it could not be loaded, or what it has no product of */
  char cores[256];        /* the cores that the threads are pinned to, as "0,1"; empty on macOS */
  /* The following, but for replays, describe a GPU; they are 0 and empty on the CPU. */
  int32_t device_index;
  int32_t driver_version;     /* the CUDA version that the driver supports, as 13000 */
  int32_t compute_capability; /* as 90 */
  int32_t multiprocessors;
  int64_t replays;      /* precis_replay's since the context was made */
  int64_t launches;     /* kernels, fills and copies that the stream was given, those of replayed
                           graphs included */
  int64_t device_bytes; /* the GPU's memory */
  int64_t free_bytes;   /* the free part of it */
  char device_name[256];
  char cublaslt_version[64]; /* empty if cuBLASLt could not be loaded */
  char cublaslt_path[512];
  char cublaslt_error[512]; /* the reason why it could not be loaded */
} precis_context_info;

#define PRECIS_ABI_VERSION 13

PRECIS_API precis_status precis_context_create(const precis_context_args* args,
                                               precis_context** context);
PRECIS_API void precis_context_destroy(precis_context* context);
PRECIS_API precis_status precis_context_describe(precis_context* context,
                                                 precis_context_info* info);
/* Returns the sentence that belongs to the last status other than PRECIS_OK; never NULL. */
PRECIS_API const char* precis_last_error(precis_context* context);
/* Waits until the context's stream is idle, and reports errors that occurred there. On the CPU it
 * restores the affinity of the thread that the context has pinned, as a program does that leaves
 * the context alone for a while. */
PRECIS_API precis_status precis_synchronize(precis_context* context);
/* Cancels a context's operations (cancelled 1), or allows them again (0). Any thread may call it at
 * any time, also while another thread is inside an operation. While cancelled, every operation
 * returns PRECIS_CANCELLED; on the CPU a precis_attention that is running ends early. The outputs
 * of an operation that was cancelled are undefined; nothing else of the context changes. What a GPU
 * was given before still runs. */
PRECIS_API precis_status precis_cancel(precis_context* context, int32_t cancelled);

/* ------------------------------------------------------------------ memory */

/* Allocates zero-filled device memory, aligned to 4096 bytes, on huge pages where the system gives
 * them. On CUDA it is memory of the GPU, aligned to 256 bytes: the host must not touch it, and data
 * move by precis_upload and precis_download. */
PRECIS_API precis_status precis_allocate(precis_context* context, int64_t bytes, void** memory);
/* Allocates memory that the host writes and reads often: ids, offsets, lengths, tokens, labels,
 * losses. On CUDA it is pinned host memory, which the device reads and writes at the same address;
 * on the CPU it is no different from precis_allocate. */
PRECIS_API precis_status precis_allocate_shared(precis_context* context, int64_t bytes,
                                                void** memory);
/* Frees memory of either kind; bytes is the size it was allocated with. On CUDA it synchronizes. */
PRECIS_API precis_status precis_free(precis_context* context, void* memory, int64_t bytes);

/* Copies host memory into memory of the context, ordered on the stream like every operation. On
 * CUDA the bytes pass through pinned buffers, and the host may change from when the call returns.
 * from is any memory that the host can read, but not that of precis_allocate on CUDA. */
PRECIS_API precis_status precis_upload(precis_context* context, void* to, const void* from,
                                       int64_t bytes);
/* Copies memory of the context to host memory, after everything before it on the stream. On CUDA it
 * synchronizes, and reports what precis_synchronize would. */
PRECIS_API precis_status precis_download(precis_context* context, void* to, const void* from,
                                         int64_t bytes);

/* y = 0, ordered on the stream like every operation. y has any dtype and rank 1 or 2. */
typedef struct precis_zero_args {
  precis_tensor y;
} precis_zero_args;

PRECIS_API precis_status precis_zero(precis_context* context, const precis_zero_args* args);

/* ------------------------------------------------------------------ recordings (CUDA graphs) */

/*
 * A recording is a CUDA graph or, on the CPU, a list of calls: operations that repeat with the same
 * arguments, like those of a decoding step, are captured once and then launched together, which
 * takes the host a few microseconds instead of a few for each operation. The contents of their
 * arguments may change in between: the device reads ids, lengths and offsets anew. On CUDA the
 * host's checks of contents run at capture only; on the CPU they run in each replay. Structures that
 * an argument points to, as row_adapters does, are copied.
 *
 * Between precis_record_begin and precis_record_end operations are captured, not executed; a call
 * that allocates, frees or synchronizes is refused. An operation that fails invalidates the
 * capture. Each operation must have run before with the same shapes, so that its scratch memory
 * exists. All memory of the operations must outlive the recording, but what precis_free freed is
 * noticed.
 */
typedef struct precis_recording precis_recording;

PRECIS_API precis_status precis_record_begin(precis_context* context);
/* Ends the capture. With recording NULL the capture is dropped. An invalid capture gives the first
 * reason as its error, and NULL. */
PRECIS_API precis_status precis_record_end(precis_context* context, precis_recording** recording);
/* Runs the operations. *replayed is 0, and nothing is run, if memory of the context was freed or
 * moved since the capture: capture again. */
PRECIS_API precis_status precis_replay(precis_context* context, precis_recording* recording,
                                       int32_t* replayed);
/* Destroys a recording, which must happen before its context is destroyed; on CUDA it synchronizes.
 * recording may be NULL. */
PRECIS_API precis_status precis_recording_destroy(precis_context* context,
                                                  precis_recording* recording);

/* ------------------------------------------------------------------ matrix product */

/*
 * A weight of N rows (outputs) and K columns (inputs), packed once for precis_matmul in a layout of
 * the device. On the CPU the layout is tiles of 64 outputs, in which K is the outer and the outputs
 * are the inner dimension, with adjacent k interleaved (1 float32, 2 bfloat16, 4 int8 or 8 int4);
 * int8 weights are quantized symmetrically per output, and their scales follow; int4 weights have a
 * scale for each 32 adjacent k of an output. On CUDA the layout is row-major, with both dims padded
 * with zeros to multiples of 64, the scales of int8 behind it; int4 is not supported there.
 */
typedef struct precis_packed_matrix {
  const void* data; /* aligned to 64 bytes */
  int64_t bytes;
  int64_t outputs; /* N */
  int64_t inputs;  /* K */
  int32_t dtype;   /* PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8 or PRECIS_INT4 */
  int32_t reserved;
} precis_packed_matrix;

typedef struct precis_matmul_pack_args {
  /* Each (n_i, K), float32 or bfloat16, stacked along the outputs. */
  precis_tensor weights[PRECIS_MAX_STACKED_WEIGHTS];
  int32_t weight_count;
  int32_t dtype;        /* of the packed matrix */
  void* packed;         /* aligned to 64 bytes */
  int64_t packed_bytes; /* at least the size that precis_matmul_pack_size gives */
  int32_t transposed;   /* each (k_i, N) instead, stacked along the inputs; not for int8 and int4 */
  int32_t reserved;
} precis_matmul_pack_args;

/* Needs dims and dtypes only; data and packed may be NULL. */
PRECIS_API precis_status precis_matmul_pack_size(precis_context* context,
                                                 const precis_matmul_pack_args* args,
                                                 int64_t* bytes);
PRECIS_API precis_status precis_matmul_pack(precis_context* context,
                                            const precis_matmul_pack_args* args);

/*
 * Packs W' (K, N) from W (N, K) packed, of the same dtype, float32 or bfloat16. The result is
 * bitwise identical to packing W transposed, so a weight that gradients flow through need not be
 * kept twice. On the CPU, W may be int8 or int4: out is then bfloat16, as if the values that W
 * stands for had been packed, transposed. out.data is written.
 */
typedef struct precis_transpose_packed_args {
  precis_packed_matrix w;
  precis_packed_matrix out;
} precis_transpose_packed_args;

PRECIS_API precis_status precis_transpose_packed(precis_context* context,
                                                 const precis_transpose_packed_args* args);

/*
 * y = alpha x W'  or, with accumulate,  y += alpha x W'.   x (M, K), W packed (N, K), y (M, N).
 * Sums are accumulated in float32. With bfloat16 weights x is rounded to bfloat16; with int8
 * weights each row of x is quantized to 8 bits, or on a GPU rounded to bfloat16. x is float32 or
 * bfloat16; y is float32 or bfloat16 (accumulate: float32).
 */
typedef struct precis_matmul_args {
  precis_tensor x;
  precis_packed_matrix w;
  precis_tensor y;
  float alpha;
  int32_t accumulate;
  int32_t step; /* nonzero: the rows are those of a decoding step, of which there are few or many. A
                   GPU then adds the parts of a sum in another order than for whole sequences, the
                   same for any number of rows. */
  int32_t reserved;
} precis_matmul_args;

PRECIS_API precis_status precis_matmul(precis_context* context, const precis_matmul_args* args);

/*
 * The fused LoRA product (Hu et al. 2021):
 *
 *   y = alpha (x W' + (x A' . s) B')
 *
 * A (R, K) stacks the adapters' down-projections; B (N, R) holds their up-projections, with zeros
 * where an output has no adapter. Segment i says that outputs [output_begin, output_end) use ranks
 * [rank_begin, rank_end) with scaling s. The low-rank term is accumulated onto x W'.
 *
 * The gradient with respect to x is the same product: of dy, with W, B and A packed transposed.
 *
 * Rows may have adapters of their own (row_adapters), in place of A, B and the segments: so one
 * product serves many adapters, and each row gets what it gets in a product of its own.
 */
typedef struct precis_lora_segment {
  int64_t output_begin;
  int64_t output_end;
  int64_t rank_begin;
  int64_t rank_end;
  float scaling;
  int32_t reserved;
} precis_lora_segment;

/* The adapters of rows [row_begin, row_end). */
typedef struct precis_lora_rows {
  int64_t row_begin;
  int64_t row_end;
  precis_packed_matrix a; /* any number of ranks; type and other dims as those of all rows */
  precis_packed_matrix b;
  precis_lora_segment segments[PRECIS_MAX_LORA_SEGMENTS];
  int32_t segment_count;
  int32_t reserved;
} precis_lora_rows;

/* The operand of dropout, whose mask is that of precis_dropout with the same seed and offset; on
 * CUDA the dropped operand is never written to memory. Training drops the input of A, and the
 * gradient of that drops the low-rank term:
 *
 *   PRECIS_LORA_DROPOUT_X           y = alpha (x W' + (dropout(x) A' . s) B')
 *   PRECIS_LORA_DROPOUT_LOW_RANK    y = alpha (x W' + dropout((x A' . s) B'))
 */
typedef enum precis_lora_dropout {
  PRECIS_LORA_DROPOUT_NONE = 0,
  PRECIS_LORA_DROPOUT_X = 1,       /* without lora_x */
  PRECIS_LORA_DROPOUT_LOW_RANK = 2 /* y float32; segments share no ranks */
} precis_lora_dropout;

typedef struct precis_lora_matmul_args {
  precis_tensor x;
  precis_packed_matrix w;
  precis_packed_matrix a; /* R outputs, K inputs; float32 or bfloat16 */
  precis_packed_matrix b; /* N outputs, R inputs; as a */
  precis_tensor y;
  precis_tensor lora_x; /* (M, K), optional: A multiplies it instead of x */
  precis_tensor down;   /* (M, R) float32, optional, written: x A' . s; zero outside segments, and
                           in rows that have adapters of their own */
  precis_lora_segment segments[PRECIS_MAX_LORA_SEGMENTS];
  int32_t segment_count;
  float alpha;
  int32_t accumulate;
  int32_t dropout_of; /* precis_lora_dropout */
  float dropout;      /* the probability with which an element is dropped */
  int32_t row_adapter_count;
  uint64_t seed;
  uint64_t offset;
  const precis_lora_rows* row_adapters; /* optional, in memory of the host: in the order of their
                                           rows, which do not overlap; without dropout */
  precis_tensor dropout_rows;           /* (M) int64, optional: as in precis_dropout */
  int32_t step;                         /* as in precis_matmul */
  int32_t reserved;
} precis_lora_matmul_args;

PRECIS_API precis_status precis_lora_matmul(precis_context* context,
                                            const precis_lora_matmul_args* args);

/*
 * The gradient of a product's weight:  dw = alpha dy' x  or, with accumulate,  dw += alpha dy' x.
 * dy (M, N) and x (M, K) are float32 or bfloat16; dw (N, K) is float32. The operands are rounded to
 * dtype before they are multiplied. Every dw[n, k] is one float32 sum in the order of m.
 * M may be 0.
 */
typedef struct precis_weight_gradient_args {
  precis_tensor dy;
  precis_tensor x;
  precis_tensor dw;
  float alpha;
  int32_t dtype; /* PRECIS_FLOAT32 or PRECIS_BFLOAT16 */
  int32_t accumulate;
  int32_t reserved;
} precis_weight_gradient_args;

PRECIS_API precis_status precis_weight_gradient(precis_context* context,
                                                const precis_weight_gradient_args* args);

/* ------------------------------------------------------------------ element-wise and rows */

/* y = x, converted between float32 and bfloat16 (round to nearest, ties to even). x and y have the
 * same dims and rank 1 to PRECIS_MAX_RANK. */
typedef struct precis_convert_args {
  precis_tensor x;
  precis_tensor y;
} precis_convert_args;

PRECIS_API precis_status precis_convert(precis_context* context, const precis_convert_args* args);

/* y += alpha x; x, y (M, N), float32 or bfloat16 each. */
typedef struct precis_add_args {
  precis_tensor x;
  precis_tensor y;
  float alpha;
  int32_t reserved;
} precis_add_args;

PRECIS_API precis_status precis_add(precis_context* context, const precis_add_args* args);

/*
 * y = x . mask / (1 - probability)  or, with accumulate,  y += x . mask / (1 - probability)
 * (Srivastava et al. 2014). The mask of element (m, n) of (M, N) is a function of
 * (seed, offset, m N + n) alone, Philox4x32-10, so that the same call is its own backward pass. x
 * and y are float32 or bfloat16 (accumulate: y float32); y may be x without accumulate.
 * 0 <= probability < 1; offset distinguishes the calls of a step and is below 2^32.
 *
 * With dropout_rows, row m has the mask of another row: with dropout_rows[m] = e 2^32 + p, that of
 * row p under offset + e 2^32. A batch whose rows say which example e they belong to and which
 * position p they have in it gets the same masks however it is split. Any value is valid.
 */
typedef struct precis_dropout_args {
  precis_tensor x;
  precis_tensor y;
  uint64_t seed;
  uint64_t offset;
  float probability;
  int32_t accumulate;
  precis_tensor dropout_rows; /* (M) int64, optional */
} precis_dropout_args;

PRECIS_API precis_status precis_dropout(precis_context* context, const precis_dropout_args* args);

/* y[t, :] = table[ids[t], :], or, with y_rows,  y[y_rows[t], :] = table[ids[t], :].   table (V, D),
 * ids and y_rows (T), y (T, D), or (R, D) with y_rows; table and y float32 or bfloat16 each. An id
 * outside [0, V), or a row outside [0, R), is an invalid argument, and then nothing is written; rows
 * of y that y_rows does not name keep their contents. */
typedef struct precis_embedding_args {
  precis_tensor table;
  precis_tensor ids; /* int32, rank 1 */
  precis_tensor y;
  precis_tensor y_rows; /* int32, rank 1, optional: no row twice */
} precis_embedding_args;

PRECIS_API precis_status precis_embedding(precis_context* context,
                                          const precis_embedding_args* args);

/* dtable[ids[t], :] += dy[t, :].   ids (T), dy (T, D) float32 or bfloat16, dtable (V, D)
 * float32. */
typedef struct precis_embedding_backward_args {
  precis_tensor ids; /* int32, rank 1 */
  precis_tensor dy;
  precis_tensor dtable;
} precis_embedding_backward_args;

PRECIS_API precis_status precis_embedding_backward(precis_context* context,
                                                   const precis_embedding_backward_args* args);

/* y = x / sqrt(mean(x^2) + epsilon) * weight   (Zhang & Sennrich 2019).
 * x (M, D) float32, weight (D) float32, y (M, D) float32 or bfloat16. */
typedef struct precis_rms_norm_args {
  precis_tensor x;
  precis_tensor weight;
  precis_tensor y;
  float epsilon;
  int32_t reserved;
} precis_rms_norm_args;

PRECIS_API precis_status precis_rms_norm(precis_context* context, const precis_rms_norm_args* args);

/*
 * The gradients of precis_rms_norm, with r = 1 / sqrt(mean(x^2) + epsilon):
 *
 *   dx (+)= r (weight dy - x r^2 mean(weight dy x))
 *   dweight += sum_m dy x r
 *
 * x (M, D) float32, dy (M, D) float32 or bfloat16, dx (M, D) float32, dweight (D) float32,
 * optional.
 */
typedef struct precis_rms_norm_backward_args {
  precis_tensor x;
  precis_tensor weight;
  precis_tensor dy;
  precis_tensor dx;
  precis_tensor dweight;
  float epsilon;
  int32_t accumulate; /* dx += instead of dx = */
} precis_rms_norm_backward_args;

PRECIS_API precis_status precis_rms_norm_backward(precis_context* context,
                                                  const precis_rms_norm_backward_args* args);

/* y = (x - mean(x)) / sqrt(var(x) + epsilon) * weight + bias   (Ba et al. 2016).
 * x (M, D) float32, weight, bias (D) float32, y (M, D) float32 or bfloat16. */
typedef struct precis_layer_norm_args {
  precis_tensor x;
  precis_tensor weight;
  precis_tensor bias;
  precis_tensor y;
  float epsilon;
  int32_t reserved;
} precis_layer_norm_args;

PRECIS_API precis_status precis_layer_norm(precis_context* context,
                                           const precis_layer_norm_args* args);

/* The gradients of precis_layer_norm. dweight and dbias (D) float32 are optional; gradients are
 * added to them. */
typedef struct precis_layer_norm_backward_args {
  precis_tensor x;
  precis_tensor weight;
  precis_tensor dy; /* (M, D) float32 or bfloat16 */
  precis_tensor dx; /* (M, D) float32 */
  precis_tensor dweight;
  precis_tensor dbias;
  float epsilon;
  int32_t accumulate; /* dx += instead of dx = */
} precis_layer_norm_backward_args;

PRECIS_API precis_status precis_layer_norm_backward(precis_context* context,
                                                    const precis_layer_norm_backward_args* args);

/* y[m, :] += bias;  y (M, N) float32 or bfloat16, bias (N) float32. */
typedef struct precis_add_bias_args {
  precis_tensor y;
  precis_tensor bias;
} precis_add_bias_args;

PRECIS_API precis_status precis_add_bias(precis_context* context, const precis_add_bias_args* args);

/* dbias[n] += sum_m dy[m, n];  dy (M, N) float32 or bfloat16, dbias (N) float32. */
typedef struct precis_bias_gradient_args {
  precis_tensor dy;
  precis_tensor dbias;
} precis_bias_gradient_args;

PRECIS_API precis_status precis_bias_gradient(precis_context* context,
                                              const precis_bias_gradient_args* args);

typedef enum precis_activation_kind {
  PRECIS_RELU = 0,
  PRECIS_GELU_TANH = 1, /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), T5's gelu_new */
  PRECIS_GELU_ERF = 2,  /* x Phi(x) */
  PRECIS_SILU = 3,
  PRECIS_TANH = 4
} precis_activation_kind;

/*
 *   gated:     y = act(x[:, :F]) * x[:, F:]    x (M, 2F), y (M, F)    (Shazeer 2020)
 *   else:      y = act(x)                      x (M, F),  y (M, F)
 *
 * x and y are float32 or bfloat16. If it is not gated, y may be x.
 */
typedef struct precis_activation_args {
  precis_tensor x;
  precis_tensor y;
  int32_t kind;
  int32_t gated;
} precis_activation_args;

PRECIS_API precis_status precis_activation(precis_context* context,
                                           const precis_activation_args* args);

/* The gradient of precis_activation with respect to x: dx has x's dims, and dy has y's. Each is
 * float32 or bfloat16. If it is not gated, dx may be dy. */
typedef struct precis_activation_backward_args {
  precis_tensor x;
  precis_tensor dy;
  precis_tensor dx;
  int32_t kind;
  int32_t gated;
} precis_activation_backward_args;

PRECIS_API precis_status precis_activation_backward(precis_context* context,
                                                    const precis_activation_backward_args* args);

/* The softmax of each row of x (M, N) float32, or its logarithm, x - log(sum(exp(x))); y may be x.
 * A row that holds only -inf is an invalid argument. */
typedef struct precis_softmax_args {
  precis_tensor x;
  precis_tensor y;
  int32_t logarithm;
  int32_t reserved;
} precis_softmax_args;

PRECIS_API precis_status precis_softmax(precis_context* context, const precis_softmax_args* args);

/* The k largest values of each row, in descending order; ties are broken by the lower index.
 * x (M, N) float32, values (M, k) float32, indices (M, k) int32. NaN is an invalid argument. */
typedef struct precis_top_k_args {
  precis_tensor x;
  precis_tensor values;
  precis_tensor indices;
} precis_top_k_args;

PRECIS_API precis_status precis_top_k(precis_context* context, const precis_top_k_args* args);

/* ------------------------------------------------------------------ attention */

/*
 * out = softmax(scale q k' + bias) v  for ragged (concatenated, unpadded) sequences: sequence s has
 * the queries [query_offsets[s], query_offsets[s + 1]) and the keys
 * [key_offsets[s], key_offsets[s + 1]).
 *
 * bias (buckets, heads) float32, optional, is the table of T5's relative position biases (Raffel et
 * al. 2020); the bucket is a function of key position - query position. Rows of q, k, v and out
 * hold heads x head_dim values; q, k and v share a dtype, float32 or bfloat16; scores and sums are
 * float32. With causal, query i attends to keys 0..i.
 *
 * dropout (0: none) drops probabilities after the softmax and scales the others by
 * 1 / (1 - dropout); the mask is a function of (seed, offset, row of q, head, key position) alone.
 * dropout_rows names other rows, as in precis_dropout.
 */
typedef struct precis_attention_args {
  precis_tensor q;
  precis_tensor k;
  precis_tensor v;
  precis_tensor out; /* float32 or bfloat16 */
  precis_tensor bias;
  const int32_t* query_offsets; /* sequences + 1, from 0, ascending */
  const int32_t* key_offsets;
  int32_t sequences;
  int32_t heads;
  int32_t causal;
  int32_t bidirectional; /* buckets for both directions (encoder) or for the past only */
  int32_t max_distance;
  float scale;
  precis_tensor log_sum_exp; /* of the scores, (queries, heads) float32; optional, written */
  uint64_t seed;
  uint64_t offset;
  float dropout;
  int32_t reserved;
  precis_tensor dropout_rows; /* (queries) int64, optional */
} precis_attention_args;

PRECIS_API precis_status precis_attention(precis_context* context,
                                          const precis_attention_args* args);

/*
 * The gradients of precis_attention, from its inputs and outputs (Dao et al. 2022: probabilities
 * are recomputed from log_sum_exp). forward holds the arguments of that call, including
 * log_sum_exp; nothing in it is written. dout has out's dims; dq, dk and dv have those of q, k and
 * v, are float32 or bfloat16, and are overwritten. dbias (buckets, heads) float32 is optional; the
 * gradient is added to it.
 */
typedef struct precis_attention_backward_args {
  precis_attention_args forward;
  precis_tensor dout;
  precis_tensor dq;
  precis_tensor dk;
  precis_tensor dv;
  precis_tensor dbias;
} precis_attention_backward_args;

PRECIS_API precis_status precis_attention_backward(precis_context* context,
                                                   const precis_attention_backward_args* args);

/*
 * Attention of one new query per row over a KV cache, as in a decoding step.
 *
 * q, out (M, heads x head_dim). k_cache, v_cache (C, heads x head_dim): row r's key at position p
 * is cache row
 *
 *   ancestors ? ancestors[r * ancestor_stride + p] * slot_rows + p : key_starts[r] + p
 *
 * ancestors lets beams share a prefix without copying it: it holds the slot in which the token at p
 * was computed. Row r attends to lengths[r] keys, including the new one at position lengths[r] - 1.
 * k_new, v_new (M, heads x head_dim) are optional; they are first stored into the cache at that
 * position, and then k_cache and v_cache must not overlap. No two rows may store to the same cache
 * row, which is checked where the host can read lengths, key_starts and ancestors. bias is as in
 * precis_attention, for the past only; optional.
 */
typedef struct precis_attention_decode_args {
  precis_tensor q;
  precis_tensor k_new;
  precis_tensor v_new;
  precis_tensor k_cache;
  precis_tensor v_cache;
  precis_tensor out;
  precis_tensor bias;
  const int32_t* key_starts;
  const int32_t* lengths;
  const int32_t* ancestors;
  int64_t ancestor_stride;
  int64_t slot_rows;
  int32_t heads;
  int32_t max_distance;
  float scale;
  int32_t reserved;
} precis_attention_decode_args;

PRECIS_API precis_status precis_attention_decode(precis_context* context,
                                                 const precis_attention_decode_args* args);

/*
 * Attention within whole sequences with relative positions as vectors (He et al. 2021, DeBERTa's
 * disentangled attention), without gradients:
 *   score[i, j, h] = scale (q[i, h] . k[j, h] + q[i, h] . position_keys[r, h]
 *                           + k[j, h] . position_queries[r, h])
 *   out[i, h] = sum_j softmax_j(score[i, j, h]) v[j, h]
 * r = min(max(i - j, -reach), reach) + reach. q, k, v, out (N, heads x head_dim): the rows of all
 * sequences, one behind the other; i and j are of the same sequence. position_keys and
 * position_queries (2 reach + 1, heads x head_dim) have q's type; either is optional, and its term
 * is 0 without it.
 */
typedef struct precis_disentangled_attention_args {
  precis_tensor q; /* float32 or bfloat16; k and v likewise */
  precis_tensor k;
  precis_tensor v;
  precis_tensor out; /* float32 or bfloat16 */
  precis_tensor position_keys;
  precis_tensor position_queries;
  const int32_t* offsets; /* sequences + 1, from 0, ascending */
  int32_t sequences;
  int32_t heads;
  float scale;
  int32_t reserved;
} precis_disentangled_attention_args;

PRECIS_API precis_status precis_disentangled_attention(
    precis_context* context, const precis_disentangled_attention_args* args);

/* ------------------------------------------------------------------ sampling */

/*
 * Logit processors, applied in this order: repetition penalty (Keskar et al. 2019: the score of a
 * token in the history is divided by the penalty if positive, else multiplied), no-repeat n-gram (a
 * token that would complete an n-gram of the history gets -inf), minimum length (the end tokens get
 * -inf while fewer than min_new_tokens were generated).
 */
typedef struct precis_row_rules {
  float repetition_penalty;     /* 1: none */
  int32_t no_repeat_ngram_size; /* 0: none */
  int32_t min_new_tokens;
  int32_t reserved;
} precis_row_rules;

/* The rules of all rows, or of each row in row_rules. */
typedef struct precis_logit_rules {
  const int32_t* history; /* (M, history_stride): the tokens so far, including the start token */
  const int32_t* history_lengths; /* (M); generated = length - 1 */
  int64_t history_stride;
  const int32_t* end_tokens;
  int32_t end_token_count;
  float repetition_penalty;     /* 1: none */
  int32_t no_repeat_ngram_size; /* 0: none */
  int32_t min_new_tokens;
  const precis_row_rules* row_rules; /* (M), optional: used in place of the three above */
} precis_logit_rules;

/* Applies the rules to scores (M, V) float32, in place. */
typedef struct precis_process_logits_args {
  precis_tensor scores;
  precis_logit_rules rules;
} precis_process_logits_args;

PRECIS_API precis_status precis_process_logits(precis_context* context,
                                               const precis_process_logits_args* args);

/*
 * Samples one token per row from logits (M, V) float32, which the rules change in place: rules,
 * then temperature, top-k (keeps every logit >= the k-th largest; 0: all), top-p (Holtzman et al.
 * 2020: the smallest set of most probable tokens whose mass reaches p, at least one; 1: all), then
 * the token with the largest  logit / temperature + Gumbel noise.  The noise of token i in row r is
 * a function of (seed, streams[r], offsets[r], i) alone, Philox4x32-10 (Salmon et al. 2011), so
 * that every device samples the same token. greedy takes the largest logit, with ties broken by the
 * lower index; probabilities and warped_log_probabilities are then those of a distribution that has
 * this token only. NaN or +inf among the logits, or an offset of 2^32 or more, is an invalid
 * argument. A row's result depends on its own row of row_sampling alone.
 *
 * With next_ids the token is appended, so that the next step has what it reads without the host:
 *
 *   l = rules.history_lengths[r]      in [0, rules.history_stride)
 *   next_ids[r] = next_history[r, l] = tokens[r],   next_offsets[r] = l,   next_lengths[r] = l + 1
 *
 * next_history, next_lengths and next_offsets may be rules.history, rules.history_lengths and
 * offsets.
 */
typedef struct precis_row_sampling {
  uint64_t seed;
  float temperature; /* > 0 */
  int32_t top_k;
  float top_p;
  int32_t greedy;
} precis_row_sampling;

typedef struct precis_sample_args {
  precis_tensor logits;
  precis_logit_rules rules;
  const uint64_t* streams; /* (M): identifies the sequence; unused and optional if greedy */
  const uint64_t* offsets; /* (M): identifies the step; unused and optional if greedy */
  const precis_row_sampling* row_sampling; /* (M), optional: used in place of the five below */
  uint64_t seed;
  float temperature; /* > 0 */
  int32_t top_k;
  float top_p;
  int32_t greedy;
  int32_t* tokens;                 /* (M) */
  float* log_probabilities;        /* (M), optional: log softmax of the unprocessed logits */
  float* warped_log_probabilities; /* (M), optional: under the sampled distribution */
  precis_tensor probabilities;     /* (M, V) float32, optional: that distribution */
  int32_t* next_ids;               /* (M), optional; the next three are needed with it */
  int32_t* next_lengths;           /* (M) */
  int32_t* next_history;           /* (M, rules.history_stride) */
  uint64_t* next_offsets;          /* (M) */
} precis_sample_args;

PRECIS_API precis_status precis_sample(precis_context* context, const precis_sample_args* args);

/* ------------------------------------------------------------------ losses over the vocabulary */

/*
 * The cross-entropy of logits = scale x w', fused with that product: rows are processed in blocks,
 * and one block of logits is all that is materialized.
 *
 *   losses[m] = -(1 - e) log p[labels[m]] - e / V sum_v log p[v],   e = label_smoothing
 *   dx = grad_scale sum_m d losses[m] / dx   (written)
 *   dw += grad_scale sum_m d losses[m] / dw
 *
 * A row whose label is -100 is ignored: loss 0, no gradient. Any other label outside [0, V) is an
 * invalid argument, and then nothing is written.
 */
typedef struct precis_linear_cross_entropy_args {
  precis_tensor x;                   /* (M, D) float32 or bfloat16 */
  precis_packed_matrix w;            /* V outputs, D inputs; float32 or bfloat16 */
  precis_packed_matrix w_transposed; /* the same packed transposed, D outputs; needed for dx */
  precis_tensor labels;              /* (M) int32 */
  precis_tensor losses;              /* (M) float32, written */
  precis_tensor dx;                  /* (M, D) float32, optional */
  precis_tensor dw;                  /* (V, D) float32, optional */
  float scale;
  float label_smoothing; /* in [0, 1) */
  float grad_scale;
  int32_t reserved;
} precis_linear_cross_entropy_args;

PRECIS_API precis_status precis_linear_cross_entropy(precis_context* context,
                                                     const precis_linear_cross_entropy_args* args);

/*
 * The log-probabilities that a policy gives to tokens, again with logits = scale x w' that are
 * never materialized as a whole:
 *
 *   log_probabilities[m] = log p[labels[m]],   p = softmax of the row's logits
 *   entropies[m] = -sum_v p[v] log p[v]
 *   divergences[m] = sum_v p[v] (log p[v] - log q[v]),   q = softmax of a reference's logits
 *   dx = sum_m dlog_probabilities[m] d log_probabilities[m] / dx   (written)
 *   dw += sum_m dlog_probabilities[m] d log_probabilities[m] / dw
 *
 * The reference's logits are scale x reference_x x reference_w'.
 *
 * A row whose label is -100 is ignored: zeros, no gradient. Any other label outside [0, V) is an
 * invalid argument, and then nothing is written.
 */
typedef struct precis_log_probability_args {
  precis_tensor x;                   /* (M, D) float32 or bfloat16 */
  precis_packed_matrix w;            /* V outputs, D inputs; float32 or bfloat16 */
  precis_packed_matrix w_transposed; /* the same packed transposed, D outputs; needed for dx */
  precis_tensor labels;              /* (M) int32 */
  precis_tensor log_probabilities;   /* (M) float32, written */
  precis_tensor entropies;           /* (M) float32, written; optional */
  precis_tensor reference_x;         /* (M, D) float32 or bfloat16; needed for divergences */
  precis_packed_matrix reference_w;  /* dims as w; it may be w; needed for divergences */
  precis_tensor divergences;         /* (M) float32, written; optional */
  precis_tensor dlog_probabilities;  /* (M) float32; needed for dx and dw */
  precis_tensor dx;                  /* (M, D) float32, optional */
  precis_tensor dw;                  /* (V, D) float32, optional */
  float scale;
  int32_t reserved;
} precis_log_probability_args;

PRECIS_API precis_status precis_log_probability(precis_context* context,
                                                const precis_log_probability_args* args);

/*
 * The loss of a policy update and its gradients: PPO with clipping (Schulman et al. 2017), its
 * value loss, an entropy bonus and the KL penalty of GRPO (Shao et al. 2024). logits = scale x w'
 * are never materialized as a whole. With A = advantages,
 *
 *   n[m] = log p[actions[m]]
 *   r[m] = exp(n[m] - old_log_probabilities[m])
 *   l[m] = reference_log_probabilities[m] - n[m]
 *
 *   policy_losses[m] = max(-A[m] r[m], -A[m] clamp(r[m], 1 - clip_range_low, 1 + clip_range_high))
 *   value_losses[m] = max((v - returns[m])^2, (clamp(v, o - e, o + e) - returns[m])^2) / 2,
 *     v = values[m], o = old_values[m], e = clip_range_value
 *   entropies[m] = -sum_v p[v] log p[v]
 *   penalties[m] = exp(l[m]) - l[m] - 1
 *   total = sum_m weights[m] (policy_losses[m] + value_coefficient value_losses[m]
 *                             - entropy_coefficient entropies[m] + kl_coefficient penalties[m])
 *   dx = d total / dx, dvalues = d total / dvalues   (written)
 *   dw += d total / dw
 *
 * As in PyTorch, the gradient of max is halved where both are equal, and that of clamp is 1 on its
 * bounds. A row whose action is -100 is ignored: zeros, no gradient. Any other action outside
 * [0, V) is an invalid argument, and then nothing is written.
 */
typedef struct precis_ppo_loss_args {
  precis_tensor x;                           /* (M, D) float32 or bfloat16 */
  precis_packed_matrix w;                    /* V outputs, D inputs; float32 or bfloat16 */
  precis_packed_matrix w_transposed;         /* packed transposed, D outputs; needed for dx */
  precis_tensor actions;                     /* (M) int32 */
  precis_tensor weights;                     /* (M) float32, like all below except dx, dw */
  precis_tensor old_log_probabilities;       /* (M) */
  precis_tensor advantages;                  /* (M) */
  precis_tensor reference_log_probabilities; /* (M), optional; needed for kl_coefficient */
  precis_tensor values;                      /* (M), optional, with old_values and returns */
  precis_tensor old_values;                  /* (M) */
  precis_tensor returns;                     /* (M) */
  precis_tensor log_probabilities;           /* (M), written: n */
  precis_tensor entropies;                   /* (M), written */
  precis_tensor policy_losses;               /* (M), written */
  precis_tensor value_losses;                /* (M), written; optional */
  precis_tensor dx;                          /* (M, D) float32, written; optional */
  precis_tensor dw;                          /* (V, D) float32, added to; optional */
  precis_tensor dvalues;                     /* (M), written; optional */
  float scale;
  float clip_range_low;   /* 0 or more; INFINITY: no clipping */
  float clip_range_high;  /* likewise */
  float clip_range_value; /* likewise */
  float value_coefficient;
  float entropy_coefficient;
  float kl_coefficient;
  int32_t reserved;
} precis_ppo_loss_args;

PRECIS_API precis_status precis_ppo_loss(precis_context* context, const precis_ppo_loss_args* args);

/*
 * The loss of knowledge distillation (Hinton et al. 2015) by the generalized Jensen-Shannon
 * divergence (Agarwal et al. 2023), mixed with the cross-entropy of labels. The logits of student
 * and teacher are never materialized as a whole:
 *
 *   z = scale x w',   u = teacher_scale teacher_x teacher_w'
 *   q = softmax(z / temperature),   p = softmax(u / temperature),   r = beta p + (1 - beta) q
 *
 *   divergences[m] = beta sum_v p log(p / r) + (1 - beta) sum_v q log(q / r)   if 0 < beta < 1
 *                    sum_v p log(p / q)                                       if beta = 0
 *                    sum_v q log(q / p)                                       if beta = 1
 *   cross_entropies[m] = -log softmax(z)[labels[m]]
 *   total = sum_m (divergence_weight divergences[m] + label_weight cross_entropies[m])
 *   dx = d total / dx   (written)
 *   dw += d total / dw
 *
 * The divergence is not multiplied by temperature^2. A row whose label is -100 is ignored: zeros,
 * no gradient. Any other label outside [0, V) is an invalid argument, and then nothing is written.
 */
typedef struct precis_distillation_loss_args {
  precis_tensor x;                   /* (M, D) float32 or bfloat16 */
  precis_packed_matrix w;            /* V outputs, D inputs; float32 or bfloat16 */
  precis_packed_matrix w_transposed; /* the same packed transposed, D outputs; needed for dx */
  precis_tensor labels;              /* (M) int32 */
  precis_tensor teacher_x;           /* (M, E) float32 or bfloat16 */
  precis_packed_matrix teacher_w;    /* V outputs, E inputs; float32 or bfloat16; it may be w */
  precis_tensor divergences;         /* (M) float32, written */
  precis_tensor cross_entropies;     /* (M) float32, written */
  precis_tensor dx;                  /* (M, D) float32, optional */
  precis_tensor dw;                  /* (V, D) float32, optional */
  float scale;
  float teacher_scale;
  float temperature; /* above 0 */
  float beta;        /* in [0, 1] */
  float divergence_weight;
  float label_weight;
} precis_distillation_loss_args;

PRECIS_API precis_status precis_distillation_loss(precis_context* context,
                                                  const precis_distillation_loss_args* args);

/* ------------------------------------------------------------------ optimizers */

/* *result = sum x^2 in double precision, in a fixed order; x float32, rank 1. */
typedef struct precis_sum_of_squares_args {
  precis_tensor x;
  double* result;
} precis_sum_of_squares_args;

PRECIS_API precis_status precis_sum_of_squares(precis_context* context,
                                               const precis_sum_of_squares_args* args);

/*
 * One step of Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019), with PyTorch's formulas:
 *
 *   g = gradient_scale gradient
 *   p -= lr weight_decay p                                   decoupled (AdamW)
 *   g += weight_decay p                                      else (Adam)
 *   m = beta1 m + (1 - beta1) g
 *   v = beta2 v + (1 - beta2) g^2
 *   p -= lr / (1 - beta1^step) m / (sqrt(v / (1 - beta2^step)) + epsilon)
 *
 * All are float32 vectors of one length; parameter, m and v are changed.
 */
typedef struct precis_adam_args {
  precis_tensor parameter;
  precis_tensor gradient;
  precis_tensor m;
  precis_tensor v;
  int64_t step; /* from 1 */
  float learning_rate;
  float beta1;
  float beta2;
  float epsilon;
  float weight_decay;
  float gradient_scale;
  int32_t decoupled;
  int32_t reserved;
} precis_adam_args;

PRECIS_API precis_status precis_adam(precis_context* context, const precis_adam_args* args);

/*
 * One step of SGD with momentum, with PyTorch's formulas:
 *
 *   g = gradient_scale gradient + weight_decay p
 *   b = g                                                    step 1, momentum other than 0
 *   b = momentum b + g                                       later steps, momentum other than 0
 *   g = b                                                    momentum other than 0
 *   p -= lr g
 *
 * All are float32 vectors of one length; b is buffer, which is optional if momentum is 0.
 */
typedef struct precis_sgd_args {
  precis_tensor parameter;
  precis_tensor gradient;
  precis_tensor buffer;
  int64_t step; /* from 1 */
  float learning_rate;
  float momentum;
  float weight_decay;
  float gradient_scale;
} precis_sgd_args;

PRECIS_API precis_status precis_sgd(precis_context* context, const precis_sgd_args* args);

/*
 * One step of Adafactor (Shazeer & Stern 2018) on one matrix or vector, with a given learning rate
 * and without a first moment:
 *
 *   g = gradient_scale gradient
 *   b = 1 - step^decay_rate
 *   matrix:  row[n] = b row[n] + (1 - b) mean_k(g[n, k]^2 + epsilon1)
 *            column[k] = b column[k] + (1 - b) mean_n(g[n, k]^2 + epsilon1)
 *            u[n, k] = g[n, k] / sqrt(row[n] column[k] / mean(row))
 *   vector:  v = b v + (1 - b) (g^2 + epsilon1)
 *            u = g / sqrt(v)
 *   u /= max(1, rms(u) / clip_threshold)
 *   lr *= scale_parameter ? max(epsilon2, rms(p)) : 1
 *   p -= lr weight_decay p
 *   p -= lr u
 *
 * The vector's v is row; rms(p) is that before the step.
 */
typedef struct precis_adafactor_args {
  precis_tensor parameter; /* (N, K) or (N) float32 */
  precis_tensor gradient;
  precis_tensor row;    /* (N) float32 */
  precis_tensor column; /* (K) float32; used for a matrix only */
  int64_t step;         /* from 1 */
  float learning_rate;
  float decay_rate; /* -0.8 */
  float epsilon1;   /* 1e-30 */
  float epsilon2;   /* 1e-3 */
  float clip_threshold;
  float weight_decay;
  float gradient_scale;
  int32_t scale_parameter;
} precis_adafactor_args;

PRECIS_API precis_status precis_adafactor(precis_context* context,
                                          const precis_adafactor_args* args);

#ifdef __cplusplus
}
#endif

#endif /* PRECIS_H_ */
