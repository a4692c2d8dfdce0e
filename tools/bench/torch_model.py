"""The translation model in PyTorch, as one writes it there: an encoder-decoder of nn.GRU and nn.GRUCell with
additive attention. Batch first. B batch, S and T source and target time, E embedding, H hidden, M memory,
V target vocabulary. The equations stand in include/tidegate/encoder_decoder.h.
"""
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

PAD, UNKNOWN, BEGIN, END = range(4)
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]


class Attention(nn.Module):
    """e_s = v . tanh(q W_q + k_s), k_s = m_s W_k. The usual nn.Linear brings three biases more than are needed;
    v's has no effect at all."""

    def __init__(self, Q, M, D):
        super().__init__()
        self.query, self.key, self.v = nn.Linear(Q, D), nn.Linear(M, D), nn.Linear(D, 1)

    def forward(self, q, memory, keys, mask):
        e = self.v(torch.tanh(self.query(q).unsqueeze(1) + keys)).squeeze(2)  # (B,S)
        if mask is not None:
            e = e.masked_fill(mask, float("-inf"))
        return torch.bmm(torch.softmax(e, 1).unsqueeze(1), memory).squeeze(1)  # (B,M)


class EncoderDecoder(nn.Module):
    """bridge: s(0) = tanh(c W_0 + b_0), otherwise the encoder's last state. readout: its size, or None."""

    def __init__(self, source_vocabulary, target_vocabulary, E, H, bidirectional=False, bridge=False,
                 readout=None, tied=False, dropout=0.0):
        super().__init__()
        M = 2 * H if bidirectional else H
        self.source_embedding = nn.Embedding(source_vocabulary, E)
        self.target_embedding = nn.Embedding(target_vocabulary, E)
        self.encoder = nn.GRU(E, H, batch_first=True, bidirectional=bidirectional)
        self.bridge = nn.Linear(M, H) if bridge else None
        self.attention = Attention(H, M, H)
        self.decoder = nn.GRUCell(E + M, H)
        self.readout = nn.Linear(H + M + E, readout) if readout else None
        self.output = nn.Linear(readout or H + M + E, target_vocabulary)
        if tied:
            self.output.weight = self.target_embedding.weight
        self.dropout = nn.Dropout(dropout)

    def encode(self, source, lengths=None):
        """source (B,S); lengths (B) or None for all S -> s(0), and what attention takes: memory, keys, mask."""
        x = self.dropout(self.source_embedding(source))
        if lengths is None:
            memory, h = self.encoder(x)
            mask = None
        else:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            packed, h = self.encoder(packed)
            memory, _ = pad_packed_sequence(packed, batch_first=True)
            mask = torch.arange(source.shape[1]) >= lengths.unsqueeze(1)
        c = torch.cat([*h], 1)
        memory = self.dropout(memory)
        return torch.tanh(self.bridge(c)) if self.bridge else c, (memory, self.attention.key(memory), mask)

    def step(self, y, s, attended):
        """y (B,E), s (B,H) before -> s after, and [ s ; c ; y ]."""
        c = self.attention(s, *attended)
        s = self.decoder(torch.cat([y, c], 1), s)
        return s, torch.cat([s, c, y], 1)

    def logits(self, z):
        """z (...,H+M+E) -> (...,V)"""
        return self.output(self.dropout(torch.tanh(self.readout(z)) if self.readout else z))

    def forward(self, source, lengths, target_in, real=None, hoisted=True):
        """Teacher forcing: logits (B,T,V), or, where `real` (B,T) is given, (N,V) of those tokens alone. hoisted:
        the output layer runs once over all steps, otherwise in each."""
        s, attended = self.encode(source, lengths)
        y, z = self.dropout(self.target_embedding(target_in)), []
        for t in range(target_in.shape[1]):
            s, one = self.step(y[:, t], s, attended)
            z.append(one if hoisted else self.logits(one))
        z = torch.stack(z, 1)
        if real is not None:
            z = z[real]
        return self.logits(z) if hoisted else z

    @torch.inference_mode()
    def greedy(self, source, lengths, limits):
        """The usual batched decoder: every row goes on until the last one is finished. limits: list of B, the most
        tokens of each row -> B lists of ids without </s>."""
        s, attended = self.encode(source, lengths)
        id = torch.full((len(limits),), BEGIN)
        done, out = torch.zeros(len(limits), dtype=torch.bool), []
        for _ in range(max(limits)):
            s, z = self.step(self.target_embedding(id), s, attended)
            id = self.logits(z).argmax(1)
            out.append(id)
            done |= id == END
            if done.all():
                break
        rows = torch.stack(out, 1).tolist()
        return [row[:row.index(END) if END in row[:limit] else limit] for row, limit in zip(rows, limits)]

    def forbid(self):
        """No translation says <pad> or <s>."""
        with torch.no_grad():
            self.output.bias[[PAD, BEGIN]] = float("-inf")


def translate(model, sentences, source_id, target_word, rows):
    """Sentences as lists of words -> translations as texts. Batches of similar length; limits as tidegate's."""
    translations = [""] * len(sentences)
    order = sorted((i for i in range(len(sentences)) if sentences[i]), key=lambda i: len(sentences[i]))
    for k in range(0, len(order), rows):
        batch = order[k:k + rows]
        lengths = torch.tensor([len(sentences[i]) + 1 for i in batch])
        source = pad([[source_id.get(w, UNKNOWN) for w in sentences[i]] + [END] for i in batch])
        found = model.greedy(source, lengths, [2 * len(sentences[i]) + 10 for i in batch])
        for i, ids in zip(batch, found):
            translations[i] = " ".join(target_word[id] for id in ids)
    return translations


def pad(rows):
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
