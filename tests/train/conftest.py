import torch

# Several threads on a busy machine are slower than one, by far.
torch.set_num_threads(1)
