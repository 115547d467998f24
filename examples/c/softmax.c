/* Turns logits into probabilities with Précis, from plain C. */

#include <precis.h>
#include <stdio.h>

int main(void) {
  char error[512] = "";
  precis_context_args options = {0};
  options.threads = 1;
  options.error = error;
  options.error_bytes = sizeof error;
  precis_context* context = NULL;
  if (precis_context_create(&options, &context) != PRECIS_OK) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }

  float logits[2][3] = {{1, 2, 3}, {0, 0, 0}};
  float probabilities[2][3];
  precis_softmax_args args = {0};
  args.x = (precis_tensor){.data = logits, .dims = {2, 3}, .rank = 2, .dtype = PRECIS_FLOAT32};
  args.y = args.x;
  args.y.data = probabilities;
  int status = 0;
  if (precis_softmax(context, &args) != PRECIS_OK) {
    fprintf(stderr, "%s\n", precis_last_error(context));
    status = 1;
  } else {
    for (int row = 0; row < 2; row++) {
      printf("%.4f %.4f %.4f\n", probabilities[row][0], probabilities[row][1],
             probabilities[row][2]);
    }
  }
  precis_context_destroy(context);
  return status;
}
